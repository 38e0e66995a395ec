//! Crashes and faults of the machine: what is left behind must equal an undisturbed run.
