"""What the data mix and the objective do: resumable grids of runs, and what they show."""
