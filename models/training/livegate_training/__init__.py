"""The recipe of LiveGate's own networks: data made on the fly, training, judging, export.

A tool of the checkout, never part of the wheel. It may import `livegate`; nothing in `livegate`
imports it.
"""
