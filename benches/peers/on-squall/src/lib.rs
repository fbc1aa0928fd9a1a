//! Empty: the program is a test target, which cargo squall builds.
