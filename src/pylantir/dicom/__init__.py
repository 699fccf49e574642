"""What a scanner talks to: the Application Entity, C-FIND, MPPS; and the scanner's side of both."""
