"""Stand-ins: REDCap and Calpendo as real HTTP servers on loopback.

Neither system can be had for a test, so these two behave as their documentation and the tests of
other public clients say the real ones do. They need the standard library only and know nothing
of pylantir: what they answer is never what pylantir would like to hear. See README.md.
"""
