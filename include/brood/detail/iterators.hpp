// std::ranges::begin() and its kin, the concepts and tags of iterators, where the library offers them without the
// stream iterators of <iterator> and all the views of <ranges>.
#pragma once

#if __has_include(<bits/ranges_base.h>) && __has_include(<bits/stl_iterator.h>)
#include <bits/ranges_base.h>
#include <bits/stl_iterator.h>
#else
#include <iterator>
#include <ranges>
#endif
