"""From counts to becquerels: camera factor, recovery, partial volume, dead time, uncertainty."""
