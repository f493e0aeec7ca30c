"""The small world: seeded pictures, clips and texts on which everything runs offline."""
