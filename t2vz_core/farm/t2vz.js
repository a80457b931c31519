/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Text2Video-Zero as a job type of Flamenco 3. Put this file into the Manager's folder `scripts`.
 * A worker needs the engine (setting `engine`), the job folder on shared storage under the same
 * path or under a two-way variable, and, to capture a scene, Blender with the add-on.
 */

const JOB_TYPE = {
    label: "Text2Video-Zero",
    description: "Make styled frames of a job folder, anchor and key frames first",
    settings: [
        { key: "job_folder", type: "string", subtype: "dir_path", required: true,
          description: "The job's folder on shared storage" },
        { key: "shots", type: "string", required: true,
          description: "The first frames of the shots, whose anchors tasks make" },
        { key: "parts", type: "string", required: true,
          description: "The first frames of the parts that tasks make, as in 1,9,17" },
        { key: "parts_in_task", type: "int32", default: 1,
          description: "Parts in one task" },
        { key: "engine", type: "string", default: "python", visible: "submission",
          description: "The engine's Python on the workers" },
        { key: "fps", type: "float", default: 24,
          description: "Frame rate of the movie" },
        { key: "scene", type: "string", subtype: "file_path", default: "",
          description: "A .blend file to capture first; empty: the job folder holds a job" },
        { key: "frames", type: "string", default: "",
          description: "The scene's frames to capture" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const capture = settings.scene ? captureTask(settings) : null;
    if (capture) job.addTask(capture);

    const anchors = frameChunker(settings.shots, 1).map((shot) => engineTask(
        settings, `anchors-${shot}`, ["run", settings.job_folder, "--anchors",
        "--parts=" + shot, "--of=" + settings.shots]));
    for (const task of anchors) {
        if (capture) task.addDependency(capture);
        job.addTask(task);
    }

    const finish = engineTask(settings, "finish",
        ["finish", settings.job_folder, "--fps", String(settings.fps)]);
    for (const parts of frameChunker(settings.parts, settings.parts_in_task)) {
        const paint = engineTask(settings, `paint-${parts}`,
            ["run", settings.job_folder, "--parts=" + parts, "--of=" + settings.parts]);
        for (const task of anchors) paint.addDependency(task);
        finish.addDependency(paint);
        job.addTask(paint);
    }
    job.addTask(finish);
}

function captureTask(settings) {
    const task = author.Task("capture", "blender");
    task.addCommand(author.Command("exec", {
        exe: "{blender}",
        args: ["-b", settings.scene, "-c", "t2vz", "--capture-only",
               "--frames=" + settings.frames, "--out", settings.job_folder],
    }));
    return task;
}

function engineTask(settings, name, args) {
    const task = author.Task(name, "misc");
    task.addCommand(author.Command("exec", {
        exe: settings.engine,
        args: ["-m", "t2vz_core"].concat(args),
    }));
    return task;
}
