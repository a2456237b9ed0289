"""Who may do what: access keys, join tokens, certificates, and what each of them allows."""
