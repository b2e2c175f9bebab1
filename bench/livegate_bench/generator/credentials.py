"""Who the bench is to the dialects of its own server: made up, good on loopback while it runs."""

from __future__ import annotations

APP_ID, APP_KEY = "bench", "bench-key-0123456789"
TOKEN = "bench-token-0123456789"
API_ID, API_SECRET = "bench", "bench-secret-0123456789"
CONFIG = f"""
[aipaas]
apps = [{{ id = "{APP_ID}", key = "{APP_KEY}" }}]
[huawei_frs]
tokens = [{{ name = "bench", token = "{TOKEN}" }}]
[linkface]
apps = [{{ api_id = "{API_ID}", api_secret = "{API_SECRET}" }}]
"""
"""Every dialect checks who calls, as on a box that other machines may reach."""
