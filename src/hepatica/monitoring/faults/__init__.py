"""What is wrong with what is watched: camera and meter that contradict each other, counts that are lost, a move."""
