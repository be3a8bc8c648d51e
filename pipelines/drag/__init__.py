"""Points of a face dragged to where they shall be, by way of a dense flow."""
