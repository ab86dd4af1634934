// std::chrono's durations, clocks and literals, where the library offers them without <chrono>'s calendar and the
// streams that it includes: those cost every translation unit 75 ms.
#pragma once

#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif
