"""HL7 version 2: results out as ORU^R01, orders and patients' corrections in; over MLLP. What it means: docs/hl7.md."""
