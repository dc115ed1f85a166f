"""Time series: windows, seasonal profiles, the streaming detector, NAB's score and VUS-PR."""
