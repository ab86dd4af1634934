// What tasks and processes print.
#pragma once

#include <string>

namespace brood::os {

// Writes out what a task left in the buffers of stdout and the standard C++ streams; almost free when there is nothing.
void flush_task_output() noexcept;
// One line in a single write, so that lines of several processes are not torn.
void write_line_to_stderr(const std::string& line) noexcept;

}  // namespace brood::os
