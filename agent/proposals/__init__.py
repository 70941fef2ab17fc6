"""What a proposal asks for, by its kind: one small file a kind, all behind one protocol."""
