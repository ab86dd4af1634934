// The template's own life, in the process that TemplateProcess forked.
#pragma once

#include "os/fd.hpp"
#include "os/signals.hpp"
#include "process/template_process.hpp"

namespace brood::proc {

// Serves requests from `socket` until the caller, whose pidfd `parent` is, says so or ends. `mask`: the caller's signal
// mask, which the children get. Nothing leaves this function: above it on the stack is the caller's program.
[[noreturn]] void serve_as_template(TemplateProcess::ChildMain child_main, void* context, os::Fd socket, os::Fd parent,
                                    const sigset_t& mask) noexcept;

}  // namespace brood::proc
