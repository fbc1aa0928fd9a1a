//! Machine contexts: the stack and register switch, for x86-64 with FSGSBASE.
//!
//! Called by `thread` alone. A context is a saved stack pointer plus the FS base that goes with it, so each context runs
//! with the thread-local storage of the pthread that it was born as. Registers that the System V ABI lets a call destroy
//! are not saved: a switch is an ordinary call to the compiler. The control words of floating point nearly always are the same on both
//! sides, and to load them is among the slowest things here, so they are compared first.

use std::arch::{asm, global_asm};
use std::ffi::c_void;

/// A suspended context: where its stack ends and which thread control block it uses.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    sp: usize,
    fs: usize,
}

global_asm!(
    r#"
    .text
    .p2align 4
    .globl squall_context_switch
    .hidden squall_context_switch
    .type squall_context_switch,@function
squall_context_switch:
    .cfi_startproc
    push rbp
    .cfi_adjust_cfa_offset 8
    push rbx
    .cfi_adjust_cfa_offset 8
    push r12
    .cfi_adjust_cfa_offset 8
    push r13
    .cfi_adjust_cfa_offset 8
    push r14
    .cfi_adjust_cfa_offset 8
    push r15
    .cfi_adjust_cfa_offset 8
    sub rsp, 8
    .cfi_adjust_cfa_offset 8
    stmxcsr [rsp]
    fnstcw [rsp+4]
    mov ecx, [rsp]
    movzx edx, word ptr [rsp+4]
    mov [rdi], rsp
    rdfsbase rax
    mov [rdi+8], rax
    mov rsp, [rsi]
    mov rax, [rsi+8]
    wrfsbase rax
    cmp ecx, [rsp]
    je 1f
    ldmxcsr [rsp]
1:
    cmp dx, word ptr [rsp+4]
    je 2f
    fldcw [rsp+4]
2:
    add rsp, 8
    .cfi_adjust_cfa_offset -8
    pop r15
    .cfi_adjust_cfa_offset -8
    pop r14
    .cfi_adjust_cfa_offset -8
    pop r13
    .cfi_adjust_cfa_offset -8
    pop r12
    .cfi_adjust_cfa_offset -8
    pop rbx
    .cfi_adjust_cfa_offset -8
    pop rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size squall_context_switch, .-squall_context_switch

    .p2align 4
    .globl squall_context_start
    .hidden squall_context_start
    .type squall_context_start,@function
squall_context_start:
    .cfi_startproc
    .cfi_undefined rip
    mov rdi, r12
    call r13
    ud2
    .cfi_endproc
    .size squall_context_start, .-squall_context_start

    .p2align 4
    .globl squall_context_abandon
    .hidden squall_context_abandon
    .type squall_context_abandon,@function
squall_context_abandon:
    .cfi_startproc
    .cfi_undefined rip
    mov rsp, rdi
    mov rdi, rdx
    call rsi
    ud2
    .cfi_endproc
    .size squall_context_abandon, .-squall_context_abandon
"#
);

unsafe extern "C" {
    fn squall_context_switch(save: *mut Context, load: *const Context);
    fn squall_context_start();
    fn squall_context_abandon(
        stack: usize,
        f: unsafe extern "C" fn(*mut c_void) -> !,
        arg: *mut c_void,
    ) -> !;
}

/// Whether the processor and the kernel let user code write the FS base.
pub(super) fn supported() -> bool {
    const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// The FS base of the calling thread, which is the address of its thread control block.
pub(super) fn fs_base() -> usize {
    let fs: usize;
    // SAFETY: rdfsbase only reads a register; `supported` was checked before any context exists.
    unsafe { asm!("rdfsbase {}", out(reg) fs, options(nomem, nostack, preserves_flags)) };
    fs
}

impl Context {
    /// A context that holds nothing yet; it is filled by the first switch away from it.
    pub(super) const fn empty() -> Context {
        Context { sp: 0, fs: 0 }
    }

    /// Where the stack of a suspended context ends; its registers lie there.
    pub(super) fn sp(&self) -> usize {
        self.sp
    }

    /// A context that will call `entry(arg)` on the stack that ends at `top`, with `fs` as its thread control block.
    ///
    /// # Safety
    /// The 128 bytes below `top` must be writable memory that nothing else uses, and `fs` a live thread control block
    /// that no kernel thread runs on. `entry` must never return.
    pub(super) unsafe fn new(
        top: usize,
        fs: usize,
        entry: unsafe extern "C" fn(*mut c_void) -> !,
        arg: *mut c_void,
    ) -> Context {
        let top = top & !15;
        let words = [
            0x0000_037f_0000_1f80u64 as usize, // MXCSR and x87 control word, both at their power-on defaults
            0,                                 // r15
            0,                                 // r14
            entry as *const () as usize,       // r13
            arg as usize,                      // r12
            0,                                 // rbx
            0,                                 // rbp: ends a frame-pointer walk
            squall_context_start as *const () as usize,
            0, // a return address of zero ends an unwind
            0,
        ];
        let sp = top - size_of_val(&words);
        // SAFETY: the caller vouches for the memory; `sp` is eight-byte aligned because `top` is sixteen-byte aligned.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), sp as *mut usize, words.len()) };
        Context { sp, fs }
    }
}

/// Suspends the running context into `save` and resumes `load`. Returns when somebody resumes `save`.
///
/// # Safety
/// `save` must stay valid until it is resumed or dropped for good; `load` must hold a suspended context that is resumed
/// exactly once for each time that it was suspended.
#[inline]
pub(super) unsafe fn switch(save: *mut Context, load: *const Context) {
    // SAFETY: the caller's promises are those that the routine needs.
    unsafe { squall_context_switch(save, load) }
}

/// Leaves the running stack for ever and calls `f(arg)` on the stack that ends at `stack`.
///
/// # Safety
/// `stack` must be the sixteen-byte aligned end of writable memory that nothing else uses.
pub(super) unsafe fn abandon(
    stack: usize,
    f: unsafe extern "C" fn(*mut c_void) -> !,
    arg: *mut c_void,
) -> ! {
    // SAFETY: as above; the routine never touches the old stack again.
    unsafe { squall_context_abandon(stack, f, arg) }
}
