"""HTTP: DICOMweb (PS3.18). FastAPI is imported here and nowhere else."""
