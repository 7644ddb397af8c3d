"""An injection that is watched for a case: shown there while it runs, entered when it has ended."""
