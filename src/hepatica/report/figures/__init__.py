"""Pictures: plain values in, a matplotlib Figure out, no pyplot."""
