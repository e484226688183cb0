"""The page Cases: a folder of cases, one after the other."""
