"""The grout datapath: DPDK, driven over grout's own binary protocol.

`driver` implements `Datapath`; `client` is one connected grout; `channel` its socket; `process` the
program; `agent` serves all of it over gRPC. Rooms: `wire` (bytes), `picture` (what grout holds),
`program` (records and routes into requests), `ports` (kernel devices), `upkeep` (loops).
"""
