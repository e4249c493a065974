//! Stored bytes, frozen. When a test here fails, the code is wrong, not the test.

mod v01;
