// A stand-in for Flamenco's Manager: its two globals, `author` and `frameChunker`, and nothing
// else. Reads a submission from stdin, has the job type compile it, writes the tasks as JSON.

const fs = require("fs");
const vm = require("vm");

class Task {
    constructor(name, type) { Object.assign(this, { name, type, commands: [], needs: [] }); }
    addCommand(command) { this.commands.push(command); }
    addDependency(task) { this.needs.push(task.name); }
}

const author = {
    Task: (name, type) => new Task(name, type),
    Command: (name, parameters) => ({ name, parameters }),
};

function frameChunker(range, size) {
    const frames = range.split(",").flatMap((part) => {
        const [first, last] = part.split("-").map(Number);
        return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
    });
    const chunks = [];
    for (let i = 0; i < frames.length; i += size) chunks.push(frames.slice(i, i + size).join(","));
    return chunks;
}

const submission = JSON.parse(fs.readFileSync(0, "utf-8"));
const script = fs.readFileSync(process.argv[2], "utf-8");
const context = vm.createContext({ author, frameChunker });
const jobType = vm.runInContext(`${script}; JOB_TYPE`, context);
const settings = {};
for (const setting of jobType.settings) {
    const value = submission.settings[setting.key] ?? setting.default;
    if (value === undefined && setting.required) throw new Error(`no ${setting.key}`);
    settings[setting.key] = value;
}
for (const key of Object.keys(submission.settings)) {
    if (!(key in settings)) throw new Error(`unknown setting ${key}`);
}
const tasks = [];
context.job = { settings, addTask: (task) => tasks.push(task) };
vm.runInContext("compileJob(job)", context);
console.log(JSON.stringify(tasks));
