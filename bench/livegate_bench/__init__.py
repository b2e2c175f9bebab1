"""The benchmark harness: it drives LiveGate through its public faces only."""
