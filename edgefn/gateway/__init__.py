"""The process that speaks HTTP: calls reach replicas through a gateway, and in no other way."""
