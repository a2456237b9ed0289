"""A fleet in virtual time: the production router, queues and scaler, driven by made-up calls."""
