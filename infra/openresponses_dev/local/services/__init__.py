"""AWS's services on this machine: moto, its state machines really executed."""
