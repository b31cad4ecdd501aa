-- Shows zebra's FPM stream in Wireshark: TCP port 2620, netlink messages in frames of their own.
-- Copy it to ~/.local/lib/wireshark/plugins/ (Help, About, Folders), and open a recording.

local fpm = Proto("frr_fpm", "Forwarding Plane Manager (FRR)")
local version = ProtoField.uint8("frr_fpm.version", "Version")
local kind = ProtoField.uint8("frr_fpm.type", "Type", base.DEC, { [1] = "netlink", [2] = "protobuf" })
local length = ProtoField.uint16("frr_fpm.length", "Length")
fpm.fields = { version, kind, length }

local HEADER = 4
-- What stands before netlink messages in a capture: the dissector of netlink wants it.
local COOKED = ByteArray.new("00000338000000000000000000000000")

local function frame_length(buffer, _, offset)
    return math.max(buffer(offset + 2, 2):uint(), HEADER)
end

local function frame(buffer, pinfo, tree)
    local branch = tree:add(fpm, buffer())
    branch:add(version, buffer(0, 1))
    branch:add(kind, buffer(1, 1))
    branch:add(length, buffer(2, 2))
    if buffer(1, 1):uint() == 1 and buffer:len() > HEADER then
        local messages = COOKED .. buffer(HEADER):bytes()
        Dissector.get("netlink"):call(messages:tvb("netlink"), pinfo, branch)
    end
    pinfo.cols.protocol = "FPM"
    return buffer:len()
end

function fpm.dissector(buffer, pinfo, tree)
    dissect_tcp_pdus(buffer, tree, HEADER, frame_length, frame)
    return buffer:len()
end

DissectorTable.get("tcp.port"):add(2620, fpm)
