"""Bundles: a version of LiveGate as one signed file, and its installation where no network is."""
