//! Who sends to whom: which calls used a flow a moment ago, so that an ICMP error that quotes the flow finds them.
