"""What a build leaves: what became of each variant, the record, the report and the picture."""
