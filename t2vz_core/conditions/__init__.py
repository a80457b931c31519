"""What ControlNets are shown, drawn from the passes."""
