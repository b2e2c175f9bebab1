"""Huawei Ascend over pyACL: models are converted once by atc, kept, and loaded from then on.

A folder, because its parts are separate nouns: what ACL's numbers mean (messages), what AIPP is told
(aipp), what atc is told (converting), what runs (running) and what a run needs (lane). None of them
imports acl; the plug-in hands it down.
"""

from livegate.backends.ascend.plugin import Plugin

__all__ = ["Plugin"]
