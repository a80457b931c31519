"""What the artist sees and clicks; it draws and asks, and decides nothing."""
