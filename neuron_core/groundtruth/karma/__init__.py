"""Ground truth by Karma: requests to it, and conversion of what it rendered."""
