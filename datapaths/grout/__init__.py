"""The grout datapath: DPDK, driven over grout's own binary protocol.

`driver` implements `Datapath`; `client` is one connected grout; `channel` is its socket; `process`
runs the program; `agent` serves the datapath over gRPC. Packages: `wire` (bytes), `picture` (a copy
of grout's tables), `program` (requests for records and routes), `ports` (kernel devices), `upkeep`
(periodic work).
"""
