"""Building blocks of what is trained: encodings, MLPs. No data, no losses."""
