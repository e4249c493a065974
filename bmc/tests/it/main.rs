//! Integration tests of the BMC protocols: our clients against hostile servers in this process and against the real
//! tools that operators trust. A tool that is missing is a failure, not a skip.

mod redfish;
