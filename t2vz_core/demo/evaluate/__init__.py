"""How good the demo model is: `python -m t2vz_core.demo.evaluate FOLDER --scratch DIR`."""
