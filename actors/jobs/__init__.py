"""Jobs: functions marked with `@job`, and the actor class that runs them."""
