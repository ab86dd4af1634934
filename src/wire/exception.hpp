// Exceptions in transit: an exception of one process becomes an equivalent one in another.
//
// A standard exception arrives as its own type, any other as the nearest standard base class of it; whatever was thrown
// arrives as a RemoteError as well. Seen as the standard type, what() is the original text.
//
// Thread safety: functions without state. Across fork: nothing to do.
#pragma once

#include <brood/archive.hpp>

#include <sys/types.h>

#include <cstdint>
#include <exception>
#include <string>

namespace brood::wire {

// Longer texts are cut.
inline constexpr std::size_t kLongestMessage = 64 * 1024;
inline constexpr std::size_t kLongestTypeName = 4 * 1024;
// Nested causes beyond this many are left out.
inline constexpr unsigned kMostCauses = 16;

// Writes what `exception` is: the name of its type, its text and those of its nested causes, the nearest standard type
// and its error code. Anything that can be thrown can be saved; throws std::bad_alloc only.
void save_exception(Writer& writer, const std::exception_ptr& exception);

// The counterpart: the result is never null. `pid` and `task_index` become those of the RemoteError.
// Throws ArchiveError for bytes that are not an exception.
std::exception_ptr load_exception(Reader& reader, pid_t pid, std::uint64_t task_index);

// "std::out_of_range: vector::_M_range_check; caused by ...": the same in one text.
std::string exception_text(const std::exception_ptr& exception);

}  // namespace brood::wire
