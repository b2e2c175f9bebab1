"""The words every other room uses: errors, frames, requests, results, configuration."""
