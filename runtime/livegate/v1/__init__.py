"""Generated from proto/livegate/v1 by `make proto`."""
