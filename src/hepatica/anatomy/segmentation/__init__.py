"""Body, lungs, liver and other organs found on a CT by classical means, with a statement of their quality."""
