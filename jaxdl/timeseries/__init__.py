"""Time series: windows, the streaming detector, NAB's score and VUS-PR."""
