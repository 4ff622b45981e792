"""What can be asked of the `trackledger` command? One module for each kind of work."""
