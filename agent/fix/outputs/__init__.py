"""What a repair is written as for other programs: reports, patches, annotations."""
