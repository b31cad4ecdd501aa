"""What every datapath must do, as checks that run against any: the contract, executable."""
